import { useQuery } from "@tanstack/react-query";
import { isAxiosError } from "axios";
import { http } from "@/lib/api";

/** The service's own word on itself; UNREACHABLE is ours. */
export type HealthStatus = "UP" | "DEGRADED" | "DOWN" | "OUT_OF_SERVICE" | "UNREACHABLE";

const STATUSES: readonly string[] = ["UP", "DEGRADED", "DOWN", "OUT_OF_SERVICE"];
const EVERY_MS = 30_000;

async function getHealth(signal: AbortSignal): Promise<HealthStatus> {
  try {
    // 503 is an answer, too: its body says what is wrong.
    const answer = await http.get<unknown>("/actuator/health", { signal, validateStatus: () => true });
    const { status } = (answer.data ?? {}) as { status?: unknown };
    return typeof status === "string" && STATUSES.includes(status) ? (status as HealthStatus) : "UNREACHABLE";
  } catch (error) {
    if (isAxiosError(error) && error.code === "ERR_CANCELED") throw error;
    return "UNREACHABLE";
  }
}

export function useHealth() {
  return useQuery({ queryKey: ["health"], queryFn: ({ signal }) => getHealth(signal), refetchInterval: EVERY_MS });
}
