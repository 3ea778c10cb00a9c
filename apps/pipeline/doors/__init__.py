"""What others tell us over queues of their own: each message becomes one ledger call.

`envelopes` takes a message out of what it came in, `arrivals` handles what S3 and
SageMaker say has arrived. Everything is a hint: what is true is looked up.
"""
