import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http } from "@/lib/api";
import type { User, UserFields } from "../types";
import { userKeys } from "./keys";

async function createUser(fields: UserFields): Promise<User> {
  return (await http.post<User>("/api/users", fields)).data;
}

export function useCreateUser() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: createUser,
    onSuccess: () => client.invalidateQueries({ queryKey: userKeys.lists }),
  });
}
