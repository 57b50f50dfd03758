import { strict as assert } from "node:assert";
import { test } from "node:test";
import { href, parseRoute } from "./router";

test("a hash names a page and its arguments", () => {
  assert.deepEqual(parseRoute("#/versions/v3"), { page: "versions", args: ["v3"] });
  assert.deepEqual(parseRoute("#/data"), { page: "data", args: [] });
});

test("an empty or unknown hash is the wheel", () => {
  assert.deepEqual(parseRoute(""), { page: "wheel", args: [] });
  assert.deepEqual(parseRoute("#/nowhere/x"), { page: "wheel", args: [] });
});

test("arguments survive the way there and back, broken ones too", () => {
  assert.deepEqual(parseRoute(href("trace", "chatcmpl-a/b c")), { page: "trace", args: ["chatcmpl-a/b c"] });
  assert.deepEqual(parseRoute("#/trace/%E0%A4%A"), { page: "trace", args: ["%E0%A4%A"] });
});
