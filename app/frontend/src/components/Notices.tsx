import { createContext, useCallback, useContext, useEffect, useState, type ReactNode } from "react";

const SHOWN_FOR_MS = 5_000;

interface Notice {
  id: number;
  text: string;
}

const Notify = createContext<(text: string) => void>(() => undefined);

/** A function that tells the person what has just been done. */
export function useNotify(): (text: string) => void {
  return useContext(Notify);
}

/** Shows the last notice for a few seconds, and reads it out. */
export function Notices({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<Notice | null>(null);
  const notify = useCallback((text: string) => setNotice((last) => ({ id: (last?.id ?? 0) + 1, text })), []);

  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(() => setNotice(null), SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [notice]);

  return (
    <Notify.Provider value={notify}>
      {children}
      <div className="notices" role="status">
        {notice !== null && (
          <p key={notice.id} className="notice">
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="m3.5 8.5 3 3 6-7" />
            </svg>
            {notice.text}
          </p>
        )}
      </div>
    </Notify.Provider>
  );
}
