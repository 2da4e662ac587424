"""What is put into a model's context, in place of training it or beside it: one file a strategy."""
