// Hash routing: "#/training/r-12" is the page "training" with the argument "r-12".
import { signal } from "@preact/signals";

export const kPages = ["wheel", "training", "data", "playground", "versions", "feedback", "trace"] as const;
export type Page = (typeof kPages)[number];
export interface Route {
  page: Page;
  args: string[];
}

export function parseRoute(hash: string): Route {
  const [name = "", ...args] = hash.replace(/^#?\/?/, "").split("/").filter((part) => part !== "");
  const page = kPages.find((known) => known === name);
  return page === undefined ? { page: "wheel", args: [] } : { page, args: args.map(decode) };
}

export function href(page: Page, ...args: string[]): string {
  return ["#", page, ...args.map(encodeURIComponent)].join("/");
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = signal<Route>({ page: "wheel", args: [] });

export function followHash(): void {
  const read = (): void => {
    route.value = parseRoute(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}
