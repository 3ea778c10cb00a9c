"""Films that lie elsewhere: on the web, or in a bucket that we may read.

`allowed` says which addresses are taken at all, `web` runs in the sandbox, for what it
reads are strangers' pages, and `bucket` has S3 copy what it can.
"""
