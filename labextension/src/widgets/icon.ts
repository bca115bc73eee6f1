/** The icon of this extension. */
import { LabIcon } from '@jupyterlab/ui-components';

export const kueueIcon = new LabIcon({
  name: 'jupyter-kueue:queue',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16">
  <g class="jp-icon3" fill="#616161"><path d="M2 3h12v2H2zM2 7h12v2H2zM2 11h7v2H2zM11 10l4 2-4 2z"/></g>
</svg>`
});
