import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, http } from "@/lib/api";
import { userKeys } from "./keys";

async function deleteUser(id: number): Promise<void> {
  try {
    await http.delete(`/api/users/${id}`);
  } catch (error) {
    // Somebody else was faster: what was asked for is so.
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

export function useDeleteUser() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: deleteUser,
    onSuccess: () => client.invalidateQueries({ queryKey: userKeys.lists }),
  });
}
