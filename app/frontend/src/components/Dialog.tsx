import { useEffect, useId, useRef, type ReactNode } from "react";

interface DialogProps {
  title: string;
  /** "drawer" slides in from the side and fills small screens; "box" stands in the middle. */
  shape: "drawer" | "box";
  role?: "dialog" | "alertdialog";
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialog: the browser traps the focus, gives it back, and closes on Escape. `data-focus` marks where it starts. */
export function Dialog({ title, shape, role = "dialog", onClose, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    // showModal takes the focus away again from what React's autoFocus gave it to.
    dialog?.querySelector<HTMLElement>("[data-focus]")?.focus();
    return () => dialog?.close();
  }, []);

  return (
    <dialog
      ref={element}
      role={role}
      aria-labelledby={titleId}
      className={`dialog dialog--${shape}`}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="dialog__head">
        <h2 id={titleId}>{title}</h2>
        <button type="button" className="button button--icon" aria-label="Close" onClick={onClose}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="m4 4 8 8m0-8-8 8" />
          </svg>
        </button>
      </header>
      {children}
    </dialog>
  );
}
