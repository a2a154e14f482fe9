import "@fontsource-variable/inter";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/users.css";
import "./styles/session.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { App } from "./app/App";
import { beginSession } from "./lib/session";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
beginSession();
createRoot(root).render(
  <StrictMode>
    <BrowserRouter>
      <App />
    </BrowserRouter>
  </StrictMode>,
);
