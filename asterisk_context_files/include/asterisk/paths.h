/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Directories
 */

#ifndef CONTEXT_PATHS_H
#define CONTEXT_PATHS_H

extern const char *ast_config_AST_CONFIG_DIR;
extern const char *ast_config_AST_MODULE_DIR;
extern const char *ast_config_AST_SPOOL_DIR;
extern const char *ast_config_AST_SYSTEM_NAME;

#endif /* CONTEXT_PATHS_H */
