"""Stage 2 of 4: splat the left eye into the right eye's view.

   left       [T, 3, H, W]  in [0, 1]
   disparity  [T, 1, H, W]  in pixels; positive is nearer and lands further left
→  right      [T, 3, H, W]  in [0, 1], black where nothing landed
→  occluded   [T, 1, H, W]  1 where nothing landed: what `fill` must inpaint; else 0
"""
