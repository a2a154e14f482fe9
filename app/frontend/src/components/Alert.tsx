/** What went wrong with a whole form, in a sentence that is read out; nothing where nothing did. */
export function Alert({ text }: { text: string | null }) {
  if (text === null) return null;
  return (
    <p className="alert" role="alert">
      {text}
    </p>
  );
}
