//! Expression parameters and their legacy forms: which are given, how they mix, what they are bound to.

use bumpalo::{Bump, collections::Vec as BumpVec};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{ApiError, Wording};
use crate::expression::{ExpressionError, Projection, Substitutions, legacy};
use crate::json::reader::take_members;
use crate::json::{AttributeValue, Entries, ValueFault, Writer};
use crate::model::{Attribute, EncodedItem, Map, Value};
use crate::operation::call::Call;

/// Reports the first fault of a value when its turn in the order of checks has come.
pub fn check_fault(fault: Option<&ValueFault<'_>>, wording: Wording) -> Result<(), ApiError> {
    fault.map_or(Ok(()), |fault| Err(ApiError::validation(fault.message(wording))))
}

/// An expression's error in the wording of the operation.
pub fn refused(error: ExpressionError, wording: Wording) -> ApiError {
    ApiError::validation(wording.envelope(error.into_message()))
}

/// Refuses legacy parameters beside expressions. Both lists are in AWS's order: name, and whether it is given.
pub fn check_mixing(
    legacy: &[(&'static str, bool)],
    expressions: &[(&'static str, bool)],
    wording: Wording,
) -> Result<(), ApiError> {
    fn given<'n>(parameters: &[(&'n str, bool)]) -> Vec<&'n str> {
        parameters.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
    }
    if !legacy.iter().any(|(_, given)| *given) || !expressions.iter().any(|(_, given)| *given) {
        return Ok(());
    }
    Err(refused(ExpressionError::mixed_parameters(&given(legacy), &given(expressions)), wording))
}

/// ExpressionAttributeNames and ExpressionAttributeValues.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubstitutionParameters<'a> {
    names: Option<Entries<'a, Option<&'a str>>>,
    values: Option<Entries<'a, Option<AttributeValue<'a>>>>,
}

impl<'a> SubstitutionParameters<'a> {
    take_members!(
        member, {
            "ExpressionAttributeNames" => names,
            "ExpressionAttributeValues" => values,
        }
    );

    take_members!(
        /// Reads by key have no values.
        names_member, {
            "ExpressionAttributeNames" => names,
        }
    );

    /// Refuses names and values where no expression could use them. `values_need`: the expressions that may use values,
    /// as the older wording lists them.
    pub fn check_needed(
        &self,
        any_expression: bool,
        values_usable: bool,
        values_need: &str,
        wording: Wording,
    ) -> Result<(), ApiError> {
        if self.names.is_some() && !any_expression {
            return Err(refused(ExpressionError::names_without_expression(), wording));
        }
        if self.values.is_some() && !values_usable {
            let detail = (wording == Wording::Older).then_some(values_need);
            return Err(refused(ExpressionError::values_without_expression(detail), wording));
        }
        Ok(())
    }

    /// Checks the maps and makes them ready for binding. Faults of values are reported after malformed placeholders.
    pub fn bind(&self, arena: &'a Bump, wording: Wording) -> Result<Substitutions<'a>, ApiError> {
        let mut names = BumpVec::new_in(arena);
        let given = self.names.map(|Entries(entries)| {
            names.extend(entries.iter().map(|(placeholder, name)| (*placeholder, name.unwrap_or_default())));
            names.as_slice()
        });
        let values = self.values.map(|_| self.value_map(arena));
        let substitutions = Substitutions::new(given, values, arena).map_err(|error| refused(error, wording))?;
        self.check_values(wording)?;
        Ok(substitutions)
    }

    fn check_values(&self, wording: Wording) -> Result<(), ApiError> {
        for (placeholder, value) in self.values.map_or(&[][..], |Entries(entries)| entries) {
            let fault = match value {
                Some(value) => value.fault,
                None => Some(&ValueFault::Empty),
            };
            let Some(fault) = fault else { continue };
            return Err(ApiError::validation(if wording == Wording::Older {
                let text = fault.text(wording);
                format!("ExpressionAttributeValues contains invalid value: {text} for key {placeholder}").into()
            } else {
                fault.message(wording)
            }));
        }
        Ok(())
    }

    /// Feeds names and values to the fingerprint of a transaction.
    pub fn hash_into(&self, hasher: &mut Xxh3, scratch: &Bump) {
        for (placeholder, name) in self.names.map_or(&[][..], |Entries(names)| names) {
            for text in [placeholder, name.as_ref().unwrap_or(&"")] {
                hasher.update(text.as_bytes());
                // Text cannot hold this byte, so neighbours do not run together.
                hasher.update(&[0xff]);
            }
        }
        hasher.update(EncodedItem::encode(self.value_map(scratch), scratch).as_bytes());
    }

    fn value_map<'b>(&self, arena: &'b Bump) -> Map<'b>
    where
        'a: 'b,
    {
        let value = |value: Option<AttributeValue<'a>>| value.map_or(Value::Null, |value| value.value);
        let entries = self.values.map_or(&[][..], |Entries(entries)| entries);
        let attributes = entries.iter().map(|(name, given)| Attribute { name, value: value(*given) });
        Map::from_sorted(BumpVec::from_iter_in(attributes, arena).into_bump_slice())
    }

    /// The names of an unprocessed request.
    fn write_names(&self, writer: &mut Writer<'_>) {
        let Some(Entries(names)) = self.names else { return };
        writer.name("ExpressionAttributeNames").object(|writer| {
            for (placeholder, name) in names {
                writer.name(placeholder).string(name.unwrap_or_default());
            }
        });
    }
}

/// ProjectionExpression and its legacy form, for the operations that have no other expression.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProjectionParameters<'a> {
    attributes_to_get: Option<&'a [Option<&'a str>]>,
    expression: Option<&'a str>,
    substitutions: SubstitutionParameters<'a>,
}

impl<'a> ProjectionParameters<'a> {
    take_members!(
        member, {
            "AttributesToGet" => attributes_to_get,
            "ProjectionExpression" => expression,
        }, [substitutions.names_member]
    );

    pub fn check_mixing(&self, wording: Wording) -> Result<(), ApiError> {
        ProjectionParameters::check_mixing_of_all([self].into_iter(), wording)?;
        self.substitutions.check_needed(self.expression.is_some(), false, "", wording)
    }

    /// The two forms may not stand in one request, not even for different tables.
    pub fn check_mixing_of_all<'p>(
        all: impl Iterator<Item = &'p ProjectionParameters<'a>>,
        wording: Wording,
    ) -> Result<(), ApiError>
    where
        'a: 'p,
    {
        let (legacy, expressions) = all.fold((false, false), |(legacy, expressions), parameters| {
            (legacy | parameters.attributes_to_get.is_some(), expressions | parameters.expression.is_some())
        });
        check_mixing(&[("AttributesToGet", legacy)], &[("ProjectionExpression", expressions)], wording)
    }

    pub fn bind(&self, call: &mut Call<'_>, arena: &'a Bump) -> Result<Option<Projection<'a>>, ApiError> {
        let substitutions = self.substitutions.bind(arena, call.wording)?;
        let projection = bind_projection(self.expression, self.attributes_to_get, &substitutions, call, arena)?;
        substitutions.check_used().map_err(|error| refused(error, call.wording))?;
        Ok(projection)
    }

    /// The part of an unprocessed request that says what to show.
    pub fn write(&self, writer: &mut Writer<'_>) {
        if let Some(names) = self.attributes_to_get {
            writer.name("AttributesToGet").array(|writer| names.iter().flatten().for_each(|name| writer.string(name)));
        }
        if let Some(expression) = self.expression {
            writer.name("ProjectionExpression").string(expression);
        }
        self.substitutions.write_names(writer);
    }
}

/// ProjectionExpression or AttributesToGet, whichever is given.
pub fn bind_projection<'a>(
    expression: Option<&str>,
    attributes_to_get: Option<&[Option<&'a str>]>,
    substitutions: &Substitutions<'a>,
    call: &mut Call<'_>,
    arena: &'a Bump,
) -> Result<Option<Projection<'a>>, ApiError> {
    let bound = match (expression, attributes_to_get) {
        (Some(text), _) => call.expressions.projection(text).and_then(|parsed| parsed.bind(substitutions, arena)),
        (None, Some(names)) => {
            let names = BumpVec::from_iter_in(names.iter().flatten().copied(), arena);
            legacy::bind_attributes_to_get(&names, arena)
        }
        (None, None) => return Ok(None),
    };
    bound.map(Some).map_err(|error| refused(error, call.wording))
}
