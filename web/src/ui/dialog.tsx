// A question in a modal <dialog>: the browser keeps the focus inside, Escape cancels, focus goes back where it was.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../lib/i18n";

interface Props {
  title: string;
  confirm: string;
  onConfirm: () => void;
  onCancel: () => void;
  busy?: boolean;
  grave?: boolean;
  children?: ComponentChildren;
}

export function Dialog({ title, confirm, onConfirm, onCancel, busy = false, grave = false, children }: Props): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    <dialog
      ref={box}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onCancel();
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onConfirm();
        }}
      >
        <h2>{title}</h2>
        {children}
        <div class="dialog-acts">
          <button type="button" class="quiet" onClick={onCancel}>
            {t("act.cancel")}
          </button>
          <button type="submit" class={grave ? "grave" : "primary"} disabled={busy}>
            {confirm}
          </button>
        </div>
      </form>
    </dialog>
  );
}
