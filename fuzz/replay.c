/* A target's corpus without libFuzzer: each file that is named is run once. */
#include "fuzz.h"

static void run(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    const long size = ftell(file);
    rewind(file);
    const block data = room_for((size_t)size, 0);
    LAW(fread(data.at, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last one is the one that broke a law */
    LLVMFuzzerTestOneInput(data.at, (size_t)size);
    free(data.all);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%d\n", argc - 1);
    return 0;
}
