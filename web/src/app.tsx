// The frame around every page: name, navigation, language and theme, the key prompt.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { keyRefused, keyWanted, setKey } from "./lib/api";
import { lang, setLanguage, t } from "./lib/i18n";
import { href, type Page, route } from "./lib/router";
import { setTheme, theme } from "./lib/theme";
import { DataPage } from "./pages/data";
import { FeedbackPage } from "./pages/feedback";
import { PlaygroundPage } from "./pages/playground";
import { TracePage } from "./pages/trace";
import { TrainingPage } from "./pages/training";
import { VersionsPage } from "./pages/versions";
import { WheelPage } from "./pages/wheel";
import { Dialog } from "./ui/dialog";
import { Icon, type IconName } from "./ui/icon";
import { Mark } from "./ui/mark";

const kShown: Record<Page, () => JSX.Element> = {
  wheel: WheelPage, training: TrainingPage, data: DataPage, playground: PlaygroundPage, versions: VersionsPage, feedback: FeedbackPage, trace: TracePage,
};
const kNav: [Exclude<Page, "trace">, IconName][] = [
  ["wheel", "wheel"], ["data", "data"], ["training", "train"], ["versions", "versions"], ["playground", "playground"], ["feedback", "listen"],
];

export function App(): JSX.Element {
  const { page } = route.value;
  const main = useRef<HTMLElement>(null);
  const Shown = kShown[page];
  const where = route.value;
  useEffect(() => {
    document.documentElement.lang = lang.value === "zh" ? "zh-CN" : "en";
    document.title = `${t(`page.${page}`)} · Volant`;
  }, [page, lang.value]);
  useEffect(() => window.scrollTo(0, 0), [where]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        main.current?.focus();
      }}>{t("skip")}</a>
      <aside class="rail">
        <a class="brand" href={href("wheel")} aria-label="Volant">
          <Mark />
          <span>Volant</span>
        </a>
        <nav aria-label={t("navigation")}>
          {kNav.map(([name, icon]) => (
            <a key={name} href={href(name)} aria-current={page === name || (page === "trace" && name === "feedback") ? "page" : undefined}>
              <Icon name={icon} />
              <span>{t(`page.${name}`)}</span>
            </a>
          ))}
        </nav>
        <div class="rail-foot">
          <button type="button" class="quiet" lang={lang.value === "zh" ? "en" : "zh-CN"} onClick={() => setLanguage(lang.value === "zh" ? "en" : "zh")} aria-label={t("switch.language")} data-switch="language">
            {lang.value === "zh" ? "EN" : "中文"}
          </button>
          <button type="button" class="quiet" onClick={() => setTheme(theme.value === "dark" ? "light" : "dark")} aria-label={t(theme.value === "dark" ? "switch.light" : "switch.dark")} title={t(theme.value === "dark" ? "switch.light" : "switch.dark")} data-switch="theme">
            <Icon name={theme.value === "dark" ? "sun" : "moon"} size={18} />
          </button>
        </div>
      </aside>
      <main id="main" ref={main} tabIndex={-1} data-page={page}>
        <Shown />
      </main>
      {keyWanted.value && <KeyPrompt />}
    </>
  );
}

function KeyPrompt(): JSX.Element {
  const key = useSignal("");
  return (
    <Dialog title={t("key.title")} confirm={t("key.use")} busy={key.value.trim() === ""} onCancel={() => (keyWanted.value = false)} onConfirm={() => setKey(key.value.trim())}>
      <p>{t("key.lead")}</p>
      {keyRefused.value && <p class="notice tone-failed" role="alert">{t("key.refused")}</p>}
      <label>
        <span>{t("key.key")}</span>
        <input type="password" autocomplete="off" value={key.value} onInput={(event) => (key.value = event.currentTarget.value)} />
      </label>
    </Dialog>
  );
}
