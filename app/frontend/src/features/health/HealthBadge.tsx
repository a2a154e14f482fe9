import { useHealth, type HealthStatus } from "./getHealth";

const WORDS: Record<HealthStatus, string> = {
  UP: "Operational",
  DEGRADED: "Running without cache",
  DOWN: "Database down",
  OUT_OF_SERVICE: "Restarting",
  UNREACHABLE: "Service unreachable",
};

/** How the service is, in a word. */
export function HealthBadge() {
  const { data: status } = useHealth();
  if (status === undefined) return null;
  const tone = status === "UP" ? "good" : status === "DEGRADED" || status === "OUT_OF_SERVICE" ? "warn" : "bad";
  return (
    <p className={`health health--${tone}`} aria-label={`Service: ${WORDS[status]}`}>
      <span className="health__dot" aria-hidden="true" />
      <span className="health__word">{WORDS[status]}</span>
    </p>
  );
}
