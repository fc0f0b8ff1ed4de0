# XEP-0289 5.1, 5.2, 5.4: a plain node joins, speaks and leaves: it sees what the XEP has, and nothing else
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
tower receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Juliet' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='rabbithole@rooms.wonderland.lit'/><subject/></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Juliet'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>Ay me</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Juliet' id='m1'><body>Ay me</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing

tower sends
  <presence type='unavailable' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='none' jid='juliet@verona.lit/balcony'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Juliet'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
tower receives
  <presence from='rabbithole@rooms.wonderland.lit' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc'><left/></fmuc></presence>
