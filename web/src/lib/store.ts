// Remembers a choice in the browser. Storage may be forbidden (private windows): then the choice lasts as long as the page.
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`volant.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`volant.${key}`);
    else localStorage.setItem(`volant.${key}`, value);
  } catch {
    // Nothing to do: the choice holds until the page is closed.
  }
}
