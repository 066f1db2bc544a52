//! Projections.
//!
//! ```text
//! projection = path { ',' path }
//! ```

use crate::expression::ast::ProjectionAst;
use crate::expression::error::{ExpressionError, ExpressionKind};
use crate::expression::lexer::TokenKind;

use super::Reader;

impl ProjectionAst {
    pub fn parse(text: &str) -> Result<ProjectionAst, ExpressionError> {
        let mut reader = Reader::new(ExpressionKind::Projection, text, &[])?;
        let mut paths = vec![reader.read_path()?];
        while reader.accept(TokenKind::Comma) {
            paths.push(reader.read_path()?);
        }
        reader.expect(TokenKind::End)?;
        reader.check_reserved_words()?;
        reader.check_list_indexes()?;
        paths.shrink_to_fit();
        Ok(ProjectionAst { terms: reader.into_terms(), paths })
    }
}
