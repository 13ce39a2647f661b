/* store_dynamo.h - what `millrace check` asks of the DynamoDB store. */
#ifndef PROJECTIONS_STORE_DYNAMO_STORE_DYNAMO_H
#define PROJECTIONS_STORE_DYNAMO_STORE_DYNAMO_H

#include "core/base/err.h"
#include "core/base/settings.h"

/* Endpoint, region, credentials, and whether the view's bookkeeping, where there is one, is ours.
 * Changes nothing. *ret_endpoint is malloced, also on failure; NULL: not even that is known. */
int store_dynamo_probe(const struct settings *settings, const char *view, char **ret_endpoint,
		       struct err *e);

#endif
