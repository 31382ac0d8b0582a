"""Serves a bundle over HTTP: a tiny supervisor, and workers that hold the model. No torch.

One request's way: ``http`` parses it, ``routes`` finds who answers, ``v2`` reads the tensors and checks them,
``batcher`` runs what waits as one batch, ``v2`` writes each its share, ``http`` sends it. What must hold over all
workers (the queue's bound, the metrics) lies on the ``board``, in shared memory.
"""
