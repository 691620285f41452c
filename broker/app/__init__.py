"""The composition root: the only place that builds engines, sockets, threads, processes and schedulers."""
