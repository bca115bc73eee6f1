/**
 * The part of jupyter-scheduler's front end that this extension uses. Its npm package contains
 * neither types nor built code; at run time the module comes from its own labextension.
 */
declare module '@jupyterlab/scheduler' {
  import type { Token } from '@lumino/coreutils';

  export namespace Scheduler {
    export type EnvironmentParameters = Record<string, string | number | boolean>;

    export interface IModel {
      readonly jobId?: string;
      /** Of a job definition. */
      readonly definitionId?: string;
      /** Of a job, in jupyter-scheduler's terms. */
      readonly status?: string;
      /** The answer to the last attempt to create it. */
      readonly createError?: string;
      readonly createType?: 'Job' | 'JobDefinition';
      readonly environment?: string;
      readonly computeType?: string;
      readonly outputFormats?: readonly string[];
      readonly runtimeEnvironmentParameters?: EnvironmentParameters;
      readonly tags?: readonly string[];
      readonly idempotencyToken?: string;
    }

    export interface IAdvancedOptionsProps {
      readonly jobsView: number;
      readonly model: IModel;
      readonly handleModelChange: (model: IModel) => void;
      readonly errors: Record<string, string>;
      readonly handleErrorsChange: (errors: Record<string, string>) => void;
    }

    export type IAdvancedOptions = React.FC<IAdvancedOptionsProps>;
    export const IAdvancedOptions: Token<IAdvancedOptions>;
  }
}
