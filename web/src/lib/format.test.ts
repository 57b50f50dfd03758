import { strict as assert } from "node:assert";
import { test } from "node:test";
import { ago, asMetric, bytes, count, duration, facts, figure, metricsOf, moment, percent, plainName } from "./format";

test("counts have thousands separated", () => {
  assert.equal(count(0), "0");
  assert.equal(count(999), "999");
  assert.equal(count(1234567), "1,234,567");
  assert.equal(count(undefined), "–");
  assert.equal(count(NaN), "–");
});

test("figures keep four digits and avoid exponents where they can", () => {
  assert.equal(figure(1.98765), "1.988");
  assert.equal(figure(0.001), "0.001");
  assert.equal(figure(0.0000123), "1.2e-5");
  assert.equal(figure(12345.6), "12,346");
  assert.equal(figure(null), "–");
});

test("shares are percentages", () => {
  assert.equal(percent(0.1234), "12.3 %");
  assert.equal(percent("x"), "–");
});

test("sizes and durations pick their unit", () => {
  assert.equal(bytes(12), "12 B");
  assert.equal(bytes(15400000), "15.4 MB");
  assert.equal(duration(0.414), "0.41 s");
  assert.equal(duration(59.6), "1 min 0 s");
  assert.equal(duration(75), "1 min 15 s");
  assert.equal(duration(7300), "2 h 1 min");
});

test("times may be ISO text, seconds or milliseconds", () => {
  const ms = Date.UTC(2026, 10, 22, 9, 0, 0);
  assert.equal(moment("2026-11-22T09:00:00Z")?.getTime(), ms);
  assert.equal(moment(ms / 1000)?.getTime(), ms);
  assert.equal(moment(ms)?.getTime(), ms);
  assert.equal(moment("yesterday"), null);
  assert.equal(moment(null), null);
});

test("time past is said in the reader's language", () => {
  const now = Date.UTC(2026, 10, 22, 9, 0, 0);
  assert.equal(ago(now / 1000 - 200, "en", now), "3 minutes ago");
  assert.equal(ago(now / 1000 - 200, "zh", now), "3分钟前");
  assert.equal(ago(now / 1000 - 3 * 86400, "en", now), "3 days ago");
  assert.equal(ago(now / 1000 + 5, "en", now), "now");
  assert.equal(ago("", "en", now), "–");
});

test("a metric may be bare or carry its interval", () => {
  assert.deepEqual(asMetric(2), { value: 2 });
  assert.deepEqual(asMetric({ value: 2, ci95: [1, 3] }), { value: 2, low: 1, high: 3 });
  assert.deepEqual(asMetric({ value: 2, ci95: [1] }), { value: 2 });
  assert.equal(asMetric({ other: 2 }), null);
  assert.equal(asMetric("2"), null);
});

test("any object can be listed as facts", () => {
  assert.deepEqual(facts({ version: "v2", gate: { passed: true, reasons: ["a", "b"] }, empty: "", none: null, loss: 1.23456, tokens: 12345, bits: { value: 2, ci95: [1, 3] } }), [
    ["version", "v2"],
    ["gate.passed", "true"],
    ["gate.reasons", "a\nb"],
    ["loss", "1.235"],
    ["tokens", "12,345"],
    ["bits", "2"],
  ]);
});

test("nested metrics are named by their path", () => {
  assert.deepEqual(metricsOf({ bits_per_byte: { value: 2, ci95: [1, 3] }, languages: { zh: { accuracy: 0.5 } }, note: "x" }), [
    ["bits_per_byte", { value: 2, low: 1, high: 3 }],
    ["languages.zh.accuracy", { value: 0.5 }],
  ]);
  assert.deepEqual(metricsOf([{ name: "sex = F", rows: 3, score: { value: 0.5, ci95: [0.2, 0.8] } }, 7, "x", { rows: 1 }], "", " · "), [
    ["sex = F · rows", { value: 3 }],
    ["sex = F · score", { value: 0.5, low: 0.2, high: 0.8 }],
  ]);
  assert.equal(plainName("languages.zh.next_token"), "languages · zh · next token");
});
