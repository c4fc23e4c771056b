"""Where one image lies in another: one file an engine, one type of result, resampling in memory."""
