/* verb_project.c - `millrace project [VIEW...]`: the projection daemon. */
#include "cli/verb.h"

#include "core/base/log.h"
#include "core/base/stop.h"
#include "projections/host/project.h"

static int run(const struct settings *settings, int argc, char **argv)
{
	int count = verb_options(&verb_project, argc, argv, NULL, 0);
	struct err e = ERR_INIT;

	if (count < 0)
		return EXIT_USAGE;
	stop_install();
	if (project_run(settings, argv, (size_t)count, &e) < 0) {
		log_err(LOG_LEVEL_ERROR, "project", "the daemon ends", &e);
		return verb_fail(&e);
	}
	return EXIT_OK;
}

const struct verb verb_project = {
	.name = "project",
	.summary = "keep views up to date: the projection daemon",
	.usage =
		"[VIEW...]\n\n"
		"Without names: every view folder in project.views. Each view's versions are "
		"files in millrace.state;\n"
		"millrace.state/VIEW.db leads to the live one.\n\n"
		"A view that fails does not stop the others; when all have failed, the exit code "
		"is the first one's.\n",
	.run = run,
	.needs = VERB_NEEDS_NAME,
};
