import type { ReactNode } from "react";

interface MessageProps {
  tone: "error" | "empty";
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

/** A panel in place of content: nothing there, or something went wrong. */
export function Message({ tone, title, children, action }: MessageProps) {
  return (
    <div className={`message message--${tone}`} role={tone === "error" ? "alert" : undefined}>
      <div className="message__mark" aria-hidden="true">
        <svg viewBox="0 0 24 24">
          {tone === "error" ? (
            <path d="M12 8v5m0 3.2v.1M10.3 4.4 2.9 17.2A2 2 0 0 0 4.6 20h14.8a2 2 0 0 0 1.7-2.8L13.7 4.4a2 2 0 0 0-3.4 0Z" />
          ) : (
            <path d="M16 19a5 5 0 0 0-10 0m5-8a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm7-3v6m3-3h-6" />
          )}
        </svg>
      </div>
      <h2>{title}</h2>
      {children}
      {action}
    </div>
  );
}
