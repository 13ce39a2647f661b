/* verb_config.c - `millrace config`: the effective configuration, or the documented sample.
 * Connects to nothing. */
#include "cli/verb.h"

static int run(const struct settings *settings, int argc, char **argv)
{
	bool sample = false;
	const struct verb_option options[] = { { "--sample", &sample, NULL } };
	int rest = verb_options(&verb_config, argc, argv, options, 1);

	if (rest < 0)
		return EXIT_USAGE;
	if (rest > 0)
		return verb_usage_error(&verb_config, "'%s' is one argument too many", argv[0]);
	if (sample)
		settings_print_sample(stdout);
	else
		settings_print(settings, stdout);
	return EXIT_OK;
}

const struct verb verb_config = {
	.name = "config",
	.summary = "print the effective configuration, or a sample with every setting explained",
	.usage =
		"[--sample]\n\n"
		"  --sample   every setting with its default, as a file to start from\n\n"
		"Without --sample: every setting as it is now and where it comes from; secrets are hidden.\n",
	.run = run,
	.needs = VERB_NEEDS_SETTINGS,
	.bare = "--sample",
};
