/**
 * The only place that sends HTTP: requests below `jupyter-kueue/` with the server's authentication,
 * and one type for all errors.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IErrorBody, ISentence } from './wire';

/** The status of an answer without content to a request with If-None-Match. */
export const NOT_MODIFIED = 304;

/** The error of each field of a request: its name as in `docs/rest.md`, and a sentence. */
export type FieldErrors = Readonly<Record<string, string>>;

/** A failed request; `message` is a sentence for the user, except for the reason `offline`. */
export class RequestError extends Error {
  /**
   * @param status the HTTP status, 0 if the server did not answer.
   * @param reason a code listed in `docs/rest.md`; `offline` if the server did not answer.
   * @param message the server's sentence.
   * @param fields the errors of the request's fields, if these are the reason.
   * @param sentence code and values of `message`.
   * @param fieldSentences code and values of each of `fields`.
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

/**
 * Return any error as a RequestError; an error without an answer means that the server is offline.
 */
export function asRequestError(error: unknown): RequestError {
  return error instanceof RequestError ? error : new RequestError(0, 'offline', messageOf(error));
}

/** Return the URL of a route below `jupyter-kueue/`; the path's parts must be encoded. */
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
    // Not this server's answer: a proxy's page, or a server without this extension.
    const message = `${response.status} ${response.statusText}`;
    return new RequestError(response.status, 'unexpected', message);
  }
}

/** Return the error in a server's answer. */
export function requestError(status: number, body: IErrorBody): RequestError {
  const { reason, message, fields, sentence, field_sentences } = body;
  return new RequestError(status, reason, message, fields, sentence ?? null, field_sentences);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
