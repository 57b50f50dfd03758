import { strict as assert } from "node:assert";
import { test } from "node:test";
import { fill, lang, named, pickLanguage, t } from "./i18n";
import { words } from "./words";

test("every word is there in both languages", () => {
  for (const [name, pair] of Object.entries(words)) {
    assert.equal(pair.length, 2, name);
    for (const text of pair) assert.ok(text.trim() !== "", name);
  }
});

test("both languages have the same blanks to fill", () => {
  const blanks = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([blank]) => blank).sort();
  for (const [name, [english, chinese]] of Object.entries(words)) assert.deepEqual(blanks(chinese), blanks(english), name);
});

test("the Chinese words are Chinese", () => {
  const allowed = new Set(["switch.language", "playground.topP"]); // says its own language; a name that is not translated
  for (const [name, [, text]] of Object.entries(words)) {
    if (!allowed.has(name)) assert.match(text, /[\u3001-\u303f\u4e00-\u9fff]/, name);
  }
});

test("the language is the saved one, else the browser's first that we speak, else English", () => {
  assert.equal(pickLanguage("zh", ["en-US"]), "zh");
  assert.equal(pickLanguage(null, ["fr", "zh-Hans-CN", "en"]), "zh");
  assert.equal(pickLanguage(null, ["en-US", "zh-CN"]), "en");
  assert.equal(pickLanguage("de", ["fr"]), "en");
});

test("words follow the language and unknown names stay as they are", () => {
  lang.value = "zh";
  assert.equal(t("versions.promoteAsk", { version: "v2" }), "让 v2 上线？");
  assert.equal(named("station", "train"), "训练");
  lang.value = "en";
  assert.equal(named("station", "train"), "train");
  assert.equal(named("step", "my_own_step"), "my own step");
  assert.equal(fill("{a} {b}", { a: 1 }), "1 {b}");
});
