"""Films through real processes while these are killed and messages and tables go away.

    python -m tests.chaos --seed 1 --films 20 --segments 20

`run` is the way of one run: `fleet` has the processes, `faults` does the harm, `people`
ask for films, `invariants` say whether all went well and `figures` sum it up. In the
workers, `app` is the product's Celery application with `points`, at which a process may
be ordered to kill itself, with `notes`, which tell the journal what it did, and with
`engine` in place of the real one.
"""
