/**
 * The one place that talks HTTP: requests below `jupyter-kueue/` with the server's own
 * authentication, and one kind of error for all that can go wrong.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IErrorBody, ISentence } from './wire';

/** The status of an answer without content to a request with If-None-Match. */
export const NOT_MODIFIED = 304;

/** What is wrong with each field of a request: its name as in `docs/rest.md`, and a sentence. */
export type FieldErrors = Readonly<Record<string, string>>;

/** A request that failed; `message` is a sentence for the user, but for the reason `offline`. */
export class RequestError extends Error {
  /**
   * @param status the HTTP status, 0 where the server did not answer at all.
   * @param reason a code: `docs/rest.md` lists them; `offline` where it did not answer.
   * @param message what the server says.
   * @param fields what is wrong with fields of the request; none where that is not the reason.
   * @param sentence what `message` is made of.
   * @param fieldSentences what each of `fields` is made of.
   */
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly fields: FieldErrors = {},
    readonly sentence: ISentence | null = null,
    readonly fieldSentences: Readonly<Record<string, ISentence | null>> = {}
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

/** Return any error as one of a request: what is no answer of the server means that it is away. */
export function asRequestError(error: unknown): RequestError {
  return error instanceof RequestError ? error : new RequestError(0, 'offline', messageOf(error));
}

/** Return the address of a route below `jupyter-kueue/`; the path's parts must be encoded. */
export function routeUrl(settings: ServerConnection.ISettings, path: string): string {
  return URLExt.join(settings.baseUrl, 'jupyter-kueue', path);
}

/**
 * Send a request and return its answer.
 *
 * @throws RequestError if the server does not answer, or answers with an error.
 */
export async function request(
  settings: ServerConnection.ISettings,
  path: string,
  init: RequestInit = {}
): Promise<Response> {
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(routeUrl(settings, path), init, settings);
  } catch (error) {
    throw asRequestError(error);
  }
  if (!response.ok && response.status !== NOT_MODIFIED) {
    throw await errorOf(response);
  }
  return response;
}

async function errorOf(response: Response): Promise<RequestError> {
  const text = await response.text();
  try {
    return requestError(response.status, JSON.parse(text) as IErrorBody);
  } catch {
    // Not ours: a proxy's page, or a server without this extension.
    const message = `${response.status} ${response.statusText}`;
    return new RequestError(response.status, 'unexpected', message);
  }
}

/** Return an error as the server tells it. */
export function requestError(status: number, body: IErrorBody): RequestError {
  const { reason, message, fields, sentence, field_sentences } = body;
  return new RequestError(status, reason, message, fields, sentence ?? null, field_sentences);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
