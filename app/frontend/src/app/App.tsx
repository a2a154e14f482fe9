import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useState } from "react";
import { Link, Route, Routes } from "react-router";
import { Message } from "@/components/Message";
import { Notices } from "@/components/Notices";
import { HealthBadge } from "@/features/health/HealthBadge";
import { ApiError } from "@/lib/api";
import { Dashboard } from "./Dashboard";

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

function NotFound() {
  return (
    <main className="page">
      <div className="card">
        <Message
          tone="empty"
          title="There is no such page"
          action={
            <Link to="/" className="button button--primary">
              Go to the users
            </Link>
          }
        />
      </div>
    </main>
  );
}

/** The whole application; its router is given from outside. */
export function App() {
  const [client] = useState(newClient);
  return (
    <QueryClientProvider client={client}>
      <Notices>
        <header className="bar">
          <div className="bar__inner">
            <Link to="/" className="brand">
              <img src="/favicon.svg" alt="" width="28" height="28" />
              capstan
            </Link>
            <HealthBadge />
          </div>
        </header>
        <Routes>
          <Route path="/" element={<Dashboard />} />
          <Route path="/users" element={<Dashboard />} />
          <Route path="/users/new" element={<Dashboard form="new" />} />
          <Route path="/users/:id" element={<Dashboard form="edit" />} />
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Notices>
    </QueryClientProvider>
  );
}
