import { useMutation, useQueryClient } from "@tanstack/react-query";
import { http } from "@/lib/api";
import type { User, UserFields } from "../types";
import { userKeys } from "./keys";

async function updateUser(id: number, fields: UserFields): Promise<User> {
  return (await http.put<User>(`/api/users/${id}`, fields)).data;
}

export function useUpdateUser(id: number) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (fields: UserFields) => updateUser(id, fields),
    onSuccess: () =>
      // It may have been one's own name.
      Promise.all([userKeys.lists, userKeys.me].map((queryKey) => client.invalidateQueries({ queryKey }))),
  });
}
