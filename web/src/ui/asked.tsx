// What was asked, beside its answer: words, or the input of a prediction.
import type { JSX } from "preact";
import { shownQuestion } from "../lib/predictions";

export function Asked({ content }: { content: string }): JSX.Element {
  const shown = shownQuestion(content);
  return "picture" in shown ? <img class="asked-picture" src={shown.picture} alt="" /> : <>{shown.text}</>;
}
