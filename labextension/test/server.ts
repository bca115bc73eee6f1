/** A Jupyter server as far as the models ask it, in the browser's own terms of requests. */
import { ServerConnection } from '@jupyterlab/services';

import type { Change } from '../src/wire';

export type Answer = unknown;

export class Server {
  /** What each route answers, by its path below `jupyter-kueue/`; an error for one that fails. */
  readonly answers = new Map<string, () => Answer>();
  /** What was asked, as `GET path`. */
  readonly asked: string[] = [];

  readonly settings = ServerConnection.makeSettings({
    baseUrl: 'http://server/',
    fetch: (request: RequestInfo | URL) => this._answer(request as Request)
  });

  /** Tell those who listen; without a listener nothing is kept. */
  /** Send a change, or as much of one as a test is about. */
  tell(change: Pick<Change, 'type' | 'cursor'> & Partial<Change>): void {
    this._send(`data: ${JSON.stringify(change)}\n\n`);
  }

  /** End the stream of changes, as a server does that stops. */
  hangUp(): void {
    const stream = this._stream;
    this._stream = null;
    stream?.close();
  }

  get isListenedTo(): boolean {
    return this._stream !== null;
  }

  private _answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const path = pathname.replace('/jupyter-kueue/', '');
    // Lab adds the time, so that no cache answers.
    this.asked.push(`${request.method} ${path}${search.replace(/[?&]\d+$/, '')}`);
    if (path === 'changes' && !this.answers.has(path)) {
      return Promise.resolve(new Response(this._open(request.signal)));
    }
    const answer = this.answers.get(path)?.();
    if (answer === undefined) {
      return Promise.reject(new TypeError('Failed to fetch'));
    }
    return Promise.resolve(answer instanceof Response ? answer : Response.json(answer));
  }

  private _open(signal: AbortSignal): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: controller => {
        this._stream = controller;
        signal.addEventListener('abort', () => {
          if (this._stream === controller) {
            this._stream = null;
          }
          controller.error(new DOMException('Aborted', 'AbortError'));
        });
      }
    });
  }

  private _send(text: string): void {
    this._stream?.enqueue(new TextEncoder().encode(text));
  }

  private _stream: ReadableStreamDefaultController<Uint8Array> | null = null;
}

/** Return an answer that is an error of the server's. */
export function refusal(
  status: number,
  reason: string,
  message = 'It does not work.',
  fields = {}
): Response {
  return Response.json({ message, reason, fields }, { status });
}

/** Wait until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries += 1) {
    if (tries > 1000) {
      throw new Error(`It did not come: ${String(isSo)}`);
    }
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
