/** Reads server-sent events (the HTML standard's format) from a streamed answer. */

/** Yield the `data` of each event as it arrives, and null for each heartbeat between them. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>
): AsyncGenerator<string | null, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await (reader.read() as Promise<ReadableStreamReadResult<string>>);
      if (done) {
        return;
      }
      // The server ends lines with a single line feed; an empty line ends a block.
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const lines = block.split('\n').filter(line => line.startsWith('data:'));
        yield lines.length > 0
          ? lines.map(line => line.slice('data:'.length).trimStart()).join('\n')
          : null;
      }
    }
  } finally {
    // Closes the connection if the caller stops early.
    await reader.cancel().catch(() => undefined);
  }
}
