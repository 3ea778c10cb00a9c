"""Film plumbing: files and frames, nothing of jobs.

The way of a film, one module per step; every step works on local paths.

    probe       what the source is, and whether we take it
    index       its packets, without decoding
    cuts        where shots begin, near the boundaries we would like
    plan        which frames make which segment
    mezzanine   a lossless copy, where packets cannot be copied
    prepare     the four above in their order
    depth       the last two for a depth video that came with the film
    split       segment objects: stream copies, cut at clean entry points
    join        stereo segments and the source's other streams, into the final
    verify      what we were given and what we made

`tools` opens media and runs ffmpeg; `sandbox` runs any of it on hostile files.
"""
