# Makes jupyter-kueue the backend of jupyter-scheduler, unless c.JupyterKueue.scheduler_backend is
# off. What a user configures for jupyter-scheduler wins over this.
from jupyter_kueue.scheduler.activation import configure

configure(get_config())  # noqa: F821 - Jupyter's configuration loader provides it
