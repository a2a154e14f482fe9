import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Message } from "@/components/Message";
import { Notices } from "@/components/Notices";
import { SignIn } from "@/features/session/components/SignIn";
import { useMe } from "@/features/users/api/getMe";
import { ApiError } from "@/lib/api";
import { useSession, type Session } from "@/lib/session";
import { Bar } from "./Bar";
import { Content } from "./Content";

function newClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        // What the client did wrong stays wrong; an outage may be over a second later.
        retry: (count, error) => count < 1 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: 1_000,
      },
    },
  });
}

/** The page's content. After signing in the focus is put to its beginning, as what had it is gone. */
function Main({ focused, children }: { focused: boolean; children: ReactNode }) {
  const element = useRef<HTMLElement>(null);
  useEffect(() => {
    if (focused) element.current?.focus();
  }, [focused]);
  return (
    <main ref={element} className="page" tabIndex={-1}>
      {children}
    </main>
  );
}

/** Everything that belongs to one login. */
function Page({ session, focused }: { session: Session; focused: boolean }) {
  const { me, isPending, error, retry } = useMe(session.login);
  if (session.asked) {
    return (
      <>
        <Bar me={null} />
        <Main focused={false}>
          <SignIn ended={session.ended} />
        </Main>
      </>
    );
  }
  return (
    <>
      <Bar me={me} />
      <Main focused={focused}>
        {isPending && <div className="card skeleton" role="progressbar" aria-label="Loading" />}
        {error !== null && me === null && (
          <div className="card">
            <Message
              tone="error"
              title="The page cannot be shown"
              action={
                <button type="button" className="button button--primary" onClick={() => void retry()}>
                  Try again
                </button>
              }
            >
              <p>{error.message}</p>
            </Message>
          </div>
        )}
        {!isPending && (error === null || me !== null) && <Content me={me} />}
      </Main>
    </>
  );
}

/** All answers that were kept go with the login that they were given to: whoever comes next starts with nothing. */
function Fresh({ children }: { children: ReactNode }) {
  const [client] = useState(newClient);
  return (
    <QueryClientProvider client={client}>
      <Notices>{children}</Notices>
    </QueryClientProvider>
  );
}

/** The whole application; its router is given from outside. */
export function App() {
  const session = useSession();
  const [first] = useState(session.login);
  return (
    <Fresh key={session.login}>
      <Page session={session} focused={session.login !== first} />
    </Fresh>
  );
}
