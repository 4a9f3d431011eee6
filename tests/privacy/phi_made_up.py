"""Made-up notes with identifiers at known places, and texts in which nothing is one.

Rules were changed for what they missed in `DEVELOPMENT`. `HELD_OUT`, with names of other countries and telephones in
other forms, was written afterwards.
"""

import random
from collections.abc import Iterator

from faker import Faker

Note = tuple[str, list[tuple[int, int, str]]]

DEVELOPMENT = (
    "{mr} {name} was seen in clinic today. DOB {dob}, MRN {mrn}.",
    "Patient: {LISTED}\nDate of birth: {dob}\nHospital number: {mrn}\nPhone: {phone}",
    "Dear {dr} {surname},\nThank you for referring {mrs} {name}, born on {dob}. She can be reached at {phone} or {ema"
    "il}.",
    "{dr} {name} reviewed the CT. The patient's medical record number is {mrn}.",
    "Date of Birth: {dob} | NHS Number: {nhs} | Tel: {phone}",
    "We spoke with {mrs} {surname} by telephone ({phone}); she prefers e-mail: {email}.",
    "HISTORY: This is a 64-year-old man, {mr} {surname}, DOB: {dob}, admitted with chest pain.",
    "{prof} {name} will see {mr} {surname} next week. Fax the letter to {phone}.",
    "Social security number: {ssn}. Medical record #{mrn}. Birth date {dob}.",
    "Seen by {dr} {name}, pager {phone}. Contact: {email}",
    "{MRS} {NAME} (MRN: {mrn}) is allergic to penicillin.",
    "The mother, {mrs} {name}, called from {phone} on Monday.",
    "RADIOLOGY REPORT\nName: {LISTED}  MRN {mrn}  DOB {dob}\nReferring: {dr} {name}\nFindings: no acute fracture.",
    "It was a pleasure to meet {mr} {name} and his wife, {mrs} {surname}, in our outpatient department.",
    "Re: {mr} {name}, d.o.b. {dob}, hospital no. {mrn}",
    "Signed electronically by {dr} {initials} {surname}. Queries to {email}.",
    "pt {mr_small} {surname_small} called today from {phone}, wants his results.",
    "She gave birth at 39 weeks; {mrs} {surname} was born {dob} and lives alone. Her chart number is {mrn}.",
    "Please ring the ward on {phone} and ask for {nurse} {name}.",
    "Demographics | {name_plain} | born: {dob} | ID no: - | record number {mrn}",
    "Discussed with {prof} {surname} ({email}), who agreed to operate on {ms} {surname} on Friday.",
    "ID: patient no {mrn}; birthdate {dob}; mobile {phone}; e-mail address {email}",
    "{FRAU} {name} wurde am Montag aufgenommen. Geburtsdatum: {dob}. Telefon: {phone}",
    "On examination {mr} {surname}'s abdomen was soft. {mr} {surname} denied fever.",
    "NHS no. {nhs}: {mrs} {initials} {surname}, dob: {dob}",
    "My name is {name_plain}, my date of birth is {dob} and you can call me at {phone}.",
    "Emergency contact: {name_plain} (daughter), {phone}. GP: {dr} {surname}.",
    "The specimen labelled {mr} {surname} (med. rec. no. {mrn}) was received in formalin.",
    "cc: {dr} {name}; {dr} {surname}; fax {phone}",
    "Attending physician: {dr} {name}\nTelephone number: {phone}\nEmail: {email}",
    "{miss} {name}, whose date of birth is {dob}, was discharged with oral antibiotics. MRN#{mrn}",
    "Written to {email} and left a voicemail on {phone} for {mr} and {mrs} {surname}.",
)
HELD_OUT = (
    "DISCHARGE LETTER\nPatient name: {name_plain}\nDOB: {dob}\nMRN: {mrn}\nConsultant: {dr} {name}\n",
    "I reviewed {mr} {surname} in the heart failure clinic; he remains breathless on stairs.",
    "Thank you for asking me to see this delightful lady, {mrs} {initials} {surname} (date of birth {dob}).",
    "OPERATION NOTE. Surgeon: {dr} {name}. Assistant: {dr} {surname}. Patient record no: {mrn}.",
    "The family's spokesperson is {ms} {name}, tel. {phone}, who will collect {mr} {surname} on Friday.",
    "{prof} {surname} dictated this letter but did not sign it. Contact the secretary at {email} or {phone}.",
    "Patient ID {mrn}, born {dob}, complains of dizziness since Tuesday.",
    "{MRS} {NAME} WAS TRANSFERRED TO THE WARD AT NOON. CALL {phone} FOR QUESTIONS.",
    "After discussion with {dr} {surname}, {miss} {surname} agreed to start methotrexate.",
    "His birthday is {dob}; his hospital number is {mrn}; his mobile number is {phone}.",
    "Please send the bill to {mrs} {surname} at {email}.",
    "Chart #{mrn} was opened for {mr} {initials} {surname} on arrival.",
    "{FRAU} {surname}, geb. {dob}, stellte sich in unserer Ambulanz vor.",
    "Interpreter booked for {mrs} {surname}; her son can be called on {phone}.",
    "Histology of the polyp from {mr} {name} (NHS No: {nhs}) showed tubular adenoma.",
    "Seen with {nurse} {name}. Plan agreed with {dr} {initials} {surname}, fax {phone}.",
    "Name of patient: {LISTED}; D.O.B.: {dob}; medical record no. {mrn}",
    "you can reach me under {phone} or write to {email}, yours sincerely, {dr} {name}",
    "The patient (DOB {dob}) was accompanied by {mr} {surname}.",
    "SSN {ssn}, MRN {mrn}, phone {phone}: details confirmed by {ms} {surname}.",
)
_LOCALES = {
    "development": ("en_US", "en_GB", "de_DE", "en_IN", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE", "en_AU"),
    "held out": ("en_IE", "en_NZ", "pt_BR", "da_DK", "no_NO", "fi_FI", "cs_CZ", "ro_RO", "tr_TR"),
}
_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%Y", "%m/%d/%y")
_MRN = ("#######", "########", "##-##-##", "?######", "MR-#####", "####-####", "#### ####", "??-######")
_PHONES = {
    "development": (
        "(###) ###-####", "###-###-####", "+1 ### ### ####", "020 #### ####", "07### ######", "+49 30 #######",
        "###.###.####", "+44 20 #### ####", "0### ### ####", "+33 1 ## ## ## ##", "0##/#######", "#### ######",
        "+1 (###) ###-#### ext. ##",
    ),
    "held out": (
        "+55 11 9####-####", "## ## ## ##", "+353 1 ### ####", "0## ### ###", "(0###) ######", "+47 ### ## ###",
        "1-###-###-####", "+420 ### ### ###", "###-#### x###", "00 45 ########", "0#### ######", "(##) ####-####",
    ),
}  # fmt: skip
_TITLES = {
    "mr": ("Mr.", "Mr"),
    "mrs": ("Mrs.", "Mrs"),
    "ms": ("Ms.", "Ms"),
    "miss": ("Miss",),
    "dr": ("Dr.", "Dr", "Doctor"),
    "mr_small": ("mr.", "mr"),
    "prof": ("Prof.", "Professor", "Prof. Dr."),
    "nurse": ("Nurse", "nurse"),
    "FRAU": ("Frau", "Herr"),
    "MRS": ("MRS.", "MRS", "MR."),
}
_KINDS = {
    "dob": "date of birth",
    "mrn": "record number",
    "nhs": "record number",
    "phone": "phone",
    "email": "email",
    "ssn": "id number",
}


def notes(split: str, seed: int, number: int) -> Iterator[Note]:
    """Notes of a split: the text, and (start, end, kind) of each identifier."""
    draw = random.Random(seed)
    fakers = [Faker(locale) for locale in _LOCALES[split]]
    for faker in fakers:
        faker.seed_instance(seed)
    templates = DEVELOPMENT if split == "development" else HELD_OUT
    for n in range(number):
        yield _filled(templates[n % len(templates)], draw, draw.choice(fakers), split)


def nhs_numbers(draw: random.Random) -> str:
    """Ten digits with their check digit."""
    while True:
        digits = [draw.randrange(10) for _ in range(9)]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            text = "".join(map(str, [*digits, check % 11]))
            return draw.choice((text, f"{text[:3]} {text[3:6]} {text[6:]}", f"{text[:3]}-{text[3:6]}-{text[6:]}"))


def _digits(draw: random.Random, form: str) -> str:
    signs = {"#": "0123456789", "?": "ABCDEFGHJKLMNPRSTUVWXYZ"}
    text = "".join(draw.choice(signs[c]) if c in signs else c for c in form)
    return text if not (form[0] in "#(" and "###-####" in form) else text.replace("0", "2").replace("1", "3")


def _value(slot: str, draw: random.Random, faker: Faker, split: str) -> tuple[str, str | None]:
    if slot in _TITLES:
        return draw.choice(_TITLES[slot]), None
    surname = faker.last_name()
    first = faker.first_name()
    names = {
        "name": f"{first} {surname}",
        "NAME": f"{first} {surname}".upper(),
        "surname": surname,
        "initials": f"{first[0]}.",
        "LISTED": f"{surname.upper()}, {first.upper()}",
        "surname_small": surname.lower().split()[0],
        "name_plain": f"{first} {surname}",
    }
    if slot in names:
        return names[slot], {"initials": None, "name_plain": "name without title"}.get(slot, "name")
    if slot == "dob":
        return faker.date_of_birth(minimum_age=1, maximum_age=88).strftime(draw.choice(_DATES)), "date of birth"
    made = {
        "mrn": lambda: _digits(draw, draw.choice(_MRN)),
        "phone": lambda: _digits(draw, draw.choice(_PHONES[split])),
        "nhs": lambda: nhs_numbers(draw),
        "email": lambda: faker.ascii_email(),
        "ssn": lambda: _digits(draw, "###-##-####"),
    }
    return made[slot](), _KINDS[slot]


def _filled(template: str, draw: random.Random, faker: Faker, split: str) -> Note:
    text, spans = "", []
    for n, piece in enumerate(template.replace("}", "{").split("{")):
        if n % 2 == 0:
            text += piece
            continue
        value, kind = _value(piece, draw, faker, split)
        if kind:
            spans.append((len(text), len(text) + len(value), kind))
        text += value
    return text, spans


NOTHING = (
    "The Kaplan–Meier estimator and the Cox model were compared in patients with Crohn's disease and Parkinson's dise"
    "ase.",
    "Dr. Martens et al. (2010) reported p = 0.003 (Figure 3.12); the article was published on 12 March 2019.",
    "Sequences were deposited in GenBank under accession numbers MN908947 and NC_045512.2 (BioProject PRJNA485481).",
    "Ethics approval 2019/1234 was granted on 3 April 2019; trial registration NCT01234567, ISRCTN12345678.",
    "doi: 10.1016/j.cell.2019.05.031, PMID 31178118, ISBN 978-3-16-148410-0, arXiv:1706.03762, ORCID 0000-0002-1825-0"
    "097.",
    "MR Imaging and MS Spectrometry were done on a 3 T scanner; TE = 30 ms and TR = 2000 ms.",
    "BRCA1, TP53 and KRAS were sequenced; chr17:41196312-41277500 was amplified (n = 1,234; 95% CI 1.02-1.45).",
    "The Glasgow Coma Scale, the Apgar score and the Charlson index were recorded by the nurse practitioner.",
    "Students' t test, Bonferroni correction and the Mann-Whitney U test were used in R version 4.1.2.1.",
    "Patients aged 90 years and over were excluded; the cohort was born between 1 January 1950 and 31 December 1960.",
    "Catalogue no. 12345678 (Sigma-Aldrich, St. Louis, MO, USA); lot number A123456; grant number R01 HL123456.",
    "Smith J, Jones AB, Lee C. Outcomes after surgery in patients with sepsis. N Engl J Med. 2015;372(4):123-31.",
    "Anna Smith1, John B. Jones2,*, Chen Li1 and María García-López3",
    "1 Department of Medicine, University of Oxford, Oxford OX3 9DU, UK",
    "*Correspondence: anna.smith@example.ac.uk; Tel.: +44 1865 123456",
    "We thank Dr. Peter Brown and Mary White for technical help.",
    "Magnetic resonance images of the Circle of Willis, Bowman's capsule and the loop of Henle are shown in Fig. 2.",
    "Hospital mortality fell from 12.3 to 10.1 per 1000 between 2010-2015; see Tables 2-3 and pages 1020-1034.",
)
