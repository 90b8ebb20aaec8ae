int embed_open(char *error, size_t size)
{
	return -1;
}

const struct convai_ops *embed_import(const char *directory, int limit_ms, char *error,
	size_t size)
{
	return NULL;
}

void embed_forget(const char *directory)
{
}

int embed_close(int limit_ms)
{
	return 0;
}

const char *embed_python_version(void)
{
	return "";
}
