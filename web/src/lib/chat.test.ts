import { strict as assert } from "node:assert";
import { test } from "node:test";
import { speed } from "./chat";

test("speed leaves out the wait for the first token", () => {
  assert.equal(speed({ tokens: 11, seconds: 3, first_seconds: 1 }), 5);
  assert.equal(speed({ tokens: 1, seconds: 3, first_seconds: 1 }), null);
  assert.equal(speed({ tokens: 5, seconds: 1, first_seconds: 1 }), null);
});
