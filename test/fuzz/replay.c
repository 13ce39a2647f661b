/* replay.c - the main of a fuzz target where there is no libFuzzer: runs the inputs of the files
 * and folders that are named, each in memory of just its size. Fails when there is none. */
#include "test/fuzz/fuzz.h"

#include "core/base/mem.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static size_t inputs;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
	(void)data;
	(void)max_size;
	return size;
}

static void run_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	struct buf b = BUF_INIT;
	uint8_t *exact;
	size_t n;

	if (in == NULL) {
		perror(path);
		exit(1);
	}
	while ((n = fread(buf_reserve(&b, 65536), 1, 65536, in)) > 0)
		b.size += n;
	(void)fclose(in);
	exact = xmalloc(b.size + (b.size == 0));
	if (b.size > 0)
		memcpy(exact, b.data, b.size);
	(void)printf("%s\n", path);
	(void)LLVMFuzzerTestOneInput(exact, b.size);
	free(exact);
	buf_done(&b);
	inputs++;
}

static void run_folder(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char *inside = xasprintf("%s/%s", path, entries[i]->d_name);

		if (entries[i]->d_name[0] != '.')
			run_file(inside);
		free(inside);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			run_folder(argv[i]);
		else
			run_file(argv[i]);
	}
	(void)printf("%zu inputs\n", inputs);
	return inputs > 0 ? 0 : 1;
}
