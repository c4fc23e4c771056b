"""Parts of label fusion: what is the same structure, how votes are counted, spines, nested tumors, minority lesions."""
