// Light or dark: follows the system until the reader chooses. The choice is the attribute data-theme of <html>.
import { signal } from "@preact/signals";
import { recall, remember } from "./store";

export type Theme = "light" | "dark";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = recall("theme");

export const theme = signal<Theme>(chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light");

export function setTheme(next: Theme): void {
  theme.value = next;
  remember("theme", next);
}

export function followSystem(): void {
  theme.subscribe((now) => {
    document.documentElement.dataset["theme"] = now;
  });
  system.addEventListener("change", (event) => {
    if (recall("theme") === null) theme.value = event.matches ? "dark" : "light";
  });
}
