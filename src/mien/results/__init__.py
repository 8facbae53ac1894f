"""Results of analysis: values, tables, files, embeddings, peaks."""
